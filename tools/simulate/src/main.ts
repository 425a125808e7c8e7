import { main } from './simulate.ts'

// Whoever reads only the first lines has seen enough.
process.stdout.on('error', () => process.exit())
process.exitCode = await main(process.argv.slice(2), {
  print: (text) => void process.stdout.write(`${text}\n`),
})
