import { boolean, double, listed, message, optional, required, text, uint } from './message.ts'

/** What masters and agents alike answer of themselves. Source: mesos.md §6 and §7. */
export const processAnswers = {
  get_health: optional(message('Response.GetHealth', { healthy: required(boolean) })),
  get_flags: optional(
    message('Response.GetFlags', {
      flags: listed(message('Flag', { name: required(text), value: optional(text) })),
    }),
  ),
  get_version: optional(
    message('Response.GetVersion', {
      version_info: required(message('VersionInfo', { version: required(text) })),
    }),
  ),
  get_metrics: optional(
    message('Response.GetMetrics', {
      metrics: listed(message('Metric', { name: required(text), value: optional(double) })),
    }),
  ),
  get_logging_level: optional(message('Response.GetLoggingLevel', { level: required(uint) })),
}
