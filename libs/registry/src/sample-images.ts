import { buildImage, type BuiltImage } from './image-builder.ts'

/*
 * Two images of two tenants, small enough to read: a script each, and a file that only its tenant should
 * ever see. They run where the shell is a simulated one, too.
 */

const script = (tenant: string): string => `#!/bin/sh
echo "hello from the private image of ${tenant}"
cat /app/motd
`

export async function sampleImage(
  tenant: string,
  format: 'oci' | 'docker' = 'oci',
): Promise<BuiltImage> {
  return buildImage({
    format,
    layers: [
      [
        { name: 'app/', type: 'directory', mode: 0o755 },
        { name: 'app/motd', content: 'replaced by the layer above\n' },
      ],
      [
        { name: 'app/motd', content: `only ${tenant} may read this\n` },
        { name: 'app/hello.sh', mode: 0o755, content: script(tenant) },
        { name: 'etc/tenant', content: `${tenant}\n` },
      ],
    ],
    entrypoint: ['/app/hello.sh'],
    environment: [`TENANT=${tenant}`],
    workingDirectory: '/app',
  })
}
