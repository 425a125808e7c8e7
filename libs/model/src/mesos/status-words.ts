/** Mesos' words for a status when it has no others. Source: mesos.md §4. */
export const statusWords: Readonly<Record<number, string>> = {
  400: '400 Bad Request.',
  401: '401 Unauthorized.',
  403: '403 Forbidden.',
  404: '404 Not Found.',
  413: '413 Request Entity Too Large.',
  415: '415 Unsupported Media Type.',
  429: '429 Too Many Requests.',
  500: '500 Internal Server Error.',
  501: '501 Not Implemented.',
  503: '503 Service Unavailable.',
}
