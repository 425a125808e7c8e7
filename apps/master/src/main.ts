#!/usr/bin/env node
import { collectAtRest, runApp, thisProcess } from '@conclave/assembly/master'
import { guardProcess } from '@conclave/runtime'
import { settings } from './config.ts'
import { wire } from './wire.ts'

guardProcess()
collectAtRest()
const code = await runApp(
  {
    name: 'conclave-master',
    summary: 'one member of the group that keeps the secrets',
    source: 'master',
    example: 'conclave-master --config run/master-1.json',
    settings,
    start: wire,
  },
  thisProcess,
)
process.exit(code)
