#!/usr/bin/env node
import { runApp, thisProcess } from '@conclave/assembly'
import { guardProcess } from '@conclave/runtime'
import { settings } from './config.ts'
import { wire } from './wire.ts'

guardProcess()
const code = await runApp(
  {
    name: 'conclave-scheduler',
    summary: 'launches what was submitted with conclave run',
    source: 'scheduler',
    example: 'conclave-scheduler --config run/scheduler-1.json',
    settings,
    start: wire,
  },
  thisProcess,
)
process.exit(code)
