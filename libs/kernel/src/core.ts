/** Every stateful core: it is told what happened, and answers with what should be done. */
export interface Core<Input, Effect> {
  step(input: Input): void
  /** What was decided since the last call, in the order it must be carried out. */
  takeEffects(): readonly Effect[]
}
