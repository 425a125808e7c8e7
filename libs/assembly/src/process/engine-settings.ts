import { setting, type Config } from '@conclave/runtime'
import { z } from 'zod'
import { isEngineUrl, type EtcdEngine } from '../master/home/etcd-engine.ts'

const embedded = 'embedded'
const noFile = ''
const file = z.string()

/** Where the state is kept, and by what a master gets there. */
export const engineSettings = {
  engine: setting(
    z.string().refine((text) => text === embedded || isEngineUrl(text)),
    'embedded (the masters keep it themselves), or etcd://host:port,host:port/prefix',
    embedded,
  ),
  etcdCa: setting(file, "a file with the authority of etcd's certificates (PEM), for TLS", noFile),
  etcdCert: setting(file, 'a file with the certificate that etcd is shown (PEM)', noFile),
  etcdKey: setting(file, 'a file with its key (PEM)', noFile),
  etcdUser: setting(z.string(), 'a user of etcd, to log in as', noFile),
  etcdPasswordFile: setting(file, 'a file with the password of that user', noFile),
} as const

/** Undefined for the masters' own log. */
export function engineOf(config: Config<typeof engineSettings>): EtcdEngine | undefined {
  if (config.engine === embedded) return undefined
  return {
    url: config.engine,
    caFile: given(config.etcdCa),
    certFile: given(config.etcdCert),
    keyFile: given(config.etcdKey),
    user: given(config.etcdUser),
    passwordFile: given(config.etcdPasswordFile),
  }
}

const given = (text: string): string | undefined => (text === noFile ? undefined : text)
