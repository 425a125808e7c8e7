import type { Command } from 'commander'

/** The group `name` of `program`, made when nobody has yet: its commands live in several files. */
export function groupOf(program: Command, name: string, description: string): Command {
  const found = program.commands.find((command) => command.name() === name)
  return found ?? program.command(name).description(description)
}
