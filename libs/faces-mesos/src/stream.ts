import type { FrameworkConnection, OperatorConnection, ShownMessage } from '@conclave/actors'
import { MasterEvent, SchedulerEvent } from '@conclave/model'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { MediaType } from './media-type.ts'
import { RecordStream } from './record-stream.ts'

/** One scheduler's SUBSCRIBE. */
export class SchedulerStream implements FrameworkConnection {
  readonly #media: MediaType
  readonly #records: RecordStream
  readonly streamId: string

  constructor(reply: FastifyReply, log: FastifyRequest['log'], media: MediaType) {
    this.#media = media
    const headers: Record<string, string> = {}
    this.#records = new RecordStream(reply, log, {
      contentType: media.name,
      headers,
      reader: 'a framework',
    })
    this.streamId = this.#records.streamId
    headers['mesos-stream-id'] = this.streamId
  }

  open(onGone: () => void): void {
    this.#records.open(onGone)
  }

  send(event: SchedulerEvent): void {
    this.#records.write(this.#media.write(SchedulerEvent, 'scheduler.Event', event))
  }

  close(): void {
    this.#records.close()
  }
}

/** One operator's SUBSCRIBE. */
export class OperatorStream implements OperatorConnection {
  readonly #media: MediaType
  readonly #records: RecordStream
  readonly streamId: string

  constructor(reply: FastifyReply, log: FastifyRequest['log'], media: MediaType) {
    this.#media = media
    this.#records = new RecordStream(reply, log, {
      contentType: media.name,
      headers: {},
      reader: 'an operator',
    })
    this.streamId = this.#records.streamId
  }

  open(onGone: () => void): void {
    this.#records.open(onGone)
  }

  send({ message, writing }: ShownMessage<MasterEvent>): void {
    this.#records.write(this.#media.write(MasterEvent, 'master.Event', message, writing))
  }

  close(): void {
    this.#records.close()
  }
}
