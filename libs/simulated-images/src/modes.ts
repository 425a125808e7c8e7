/** Which names stand for simulated images: those that are described here, any, or none. */
export const simulatedImagesModes = ['known', 'any', 'off'] as const
export type SimulatedImagesMode = (typeof simulatedImagesModes)[number]
