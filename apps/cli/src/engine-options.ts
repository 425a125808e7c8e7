import { Option, type Command } from 'commander'
import type { EtcdOptions } from './store/etcd-place.ts'

export interface EngineOptions extends EtcdOptions {
  /** `embedded`, or the address of an etcd. */
  readonly engine?: string
}

/** Who keeps the state, of a command that starts masters. */
export const withEngine = (command: Command): Command =>
  withEtcd(
    command.addOption(
      new Option(
        '--engine <engine>',
        'who keeps the state: embedded (the masters), or etcd://host:port,host:port/prefix',
      ).env('CONCLAVE_ENGINE'),
    ),
  )

/** What it takes to be let into an etcd. */
export const withEtcd = (command: Command): Command =>
  command
    .option('--etcd-ca <file>', 'speak TLS to etcd, whose certificates this authority signs (PEM)')
    .option('--etcd-cert <file>', 'show etcd this certificate (PEM)')
    .option('--etcd-key <file>', 'and its key (PEM)')
    .option('--etcd-user <name>', 'log in to etcd')
    .option('--etcd-password-file <file>', 'with the password in this file')
