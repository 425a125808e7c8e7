import { resolve } from 'node:path'
import { isEngineUrl, type EtcdEngine } from '@conclave/assembly'
import { CommandFailed } from '../failure.ts'
import type { EngineOptions } from '../engine-options.ts'

/** What was asked for with `--engine` and the options of etcd beside it; undefined for the masters' own log. */
export function engineIn(options: EngineOptions): EtcdEngine | undefined {
  const { engine: text, etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile } = options
  const given = Object.values({ etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile })
  if (text === undefined || text === 'embedded') {
    if (given.every((one) => one === undefined)) return undefined
    throw new CommandFailed('usage', '--etcd-… options are for --engine etcd://…')
  }
  if (!isEngineUrl(text)) {
    throw new CommandFailed(
      'usage',
      '--engine is embedded, or etcd://host:port,host:port/prefix; users and passwords do not belong into it',
    )
  }
  return {
    url: text,
    caFile: file(etcdCa),
    certFile: file(etcdCert),
    keyFile: file(etcdKey),
    user: etcdUser,
    passwordFile: file(etcdPasswordFile),
  }
}

const file = (path: string | undefined): string | undefined => path && resolve(path)

/** The same, as settings of a master that is a process of its own. */
export function engineSettingsOf(engine: EtcdEngine | undefined): Readonly<Record<string, string>> {
  if (engine === undefined) return {}
  const { url, caFile, certFile, keyFile, user, passwordFile } = engine
  return {
    engine: url,
    ...(caFile !== undefined && { etcdCa: caFile }),
    ...(certFile !== undefined && { etcdCert: certFile }),
    ...(keyFile !== undefined && { etcdKey: keyFile }),
    ...(user !== undefined && { etcdUser: user }),
    ...(passwordFile !== undefined && { etcdPasswordFile: passwordFile }),
  }
}
