import { message, optional, repeated, required, text, type Infer } from './message.ts'

export const Label = message('Label', { key: required(text), value: optional(text) })
export const Labels = message('Labels', { labels: repeated(Label) })
export type Labels = Infer<typeof Labels>
