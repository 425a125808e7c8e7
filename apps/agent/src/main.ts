#!/usr/bin/env node
import { runApp, thisProcess } from '@conclave/assembly'
import { guardProcess } from '@conclave/runtime'
import { settings } from './config.ts'
import { wire } from './wire.ts'

guardProcess()
const code = await runApp(
  {
    name: 'conclave-agent',
    summary: 'one machine that runs containers, and hands each its secrets',
    source: 'agent',
    example: `conclave-agent --config run/agent-1.json --resources '{"cpus":8,"mem":16384}'`,
    settings,
    start: wire,
  },
  thisProcess,
)
process.exit(code)
