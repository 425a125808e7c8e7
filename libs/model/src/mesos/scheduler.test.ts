import { describe, expect, test } from 'vitest'
import { masterCallProblem, parseMasterCall } from './operator.ts'
import { callProblem, encodeEvent, isUuid, parseCall, parseEvent } from './scheduler.ts'

const framework = { framework_id: { value: 'f' } }
const uuid = 'AAAAAAAAQACAAAAAAAAAAA=='

describe('MO8: the form of a call (mesos.md §4, §5)', () => {
  test.each([
    [{ string: 'x' }, "Expecting 'type' to be present"],
    [{ type: 'NO_SUCH' }, "Expecting 'type' to be present"],
    [{ type: 'SUBSCRIBE' }, "Expecting 'subscribe' to be present"],
    [{ type: 'ACCEPT' }, "Expecting 'framework_id' to be present"],
    [{ type: 'ACCEPT', ...framework }, "Expecting 'accept' to be present"],
    [{ type: 'DECLINE', ...framework }, "Expecting 'decline' to be present"],
    [{ type: 'KILL', ...framework }, "Expecting 'kill' to be present"],
    [{ type: 'SHUTDOWN', ...framework }, "Expecting 'shutdown' to be present"],
    [{ type: 'ACKNOWLEDGE', ...framework }, "Expecting 'acknowledge' to be present"],
    [{ type: 'RECONCILE', ...framework }, "Expecting 'reconcile' to be present"],
    [{ type: 'MESSAGE', ...framework }, "Expecting 'message' to be present"],
    [{ type: 'REQUEST', ...framework }, "Expecting 'request' to be present"],
    [{ type: 'UPDATE_FRAMEWORK', ...framework }, "Expecting 'update_framework' to be present"],
    [
      {
        type: 'SUBSCRIBE',
        ...framework,
        subscribe: { framework_info: { user: 'u', name: 'n', id: { value: 'g' } } },
      },
      "'framework_id' differs from 'subscribe.framework_info.id'",
    ],
    [
      { type: 'SUBSCRIBE', ...framework, subscribe: { framework_info: { user: 'u', name: 'n' } } },
      "'framework_id' differs from 'subscribe.framework_info.id'",
    ],
    [
      {
        type: 'SUBSCRIBE',
        subscribe: { framework_info: { user: 'u', name: 'n', principal: 'bob' } },
      },
      "Authenticated principal 'alice' does not match principal 'bob' set in `FrameworkInfo`",
    ],
    [
      {
        type: 'UPDATE_FRAMEWORK',
        ...framework,
        update_framework: { framework_info: { user: 'u', name: 'n', id: { value: 'g' } } },
      },
      "'framework_id' differs from 'update_framework.framework_info.id'",
    ],
    [
      {
        type: 'ACKNOWLEDGE',
        ...framework,
        acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid: 'aGk=' },
      },
      'Not a valid UUID',
    ],
  ])('%j: %s', (call, problem) => {
    expect(callProblem(parseCall(call), 'alice')).toBe(problem)
  })

  test.each([
    { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'u', name: 'n' } } },
    {
      type: 'SUBSCRIBE',
      subscribe: { framework_info: { user: 'u', name: 'n', principal: 'alice' } },
    },
    { type: 'TEARDOWN', ...framework },
    { type: 'REVIVE', ...framework },
    { type: 'SUPPRESS', ...framework, suppress: null },
    { type: 'UNKNOWN' },
    {
      type: 'ACKNOWLEDGE',
      ...framework,
      acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid },
    },
  ])('%j is one', (call) => {
    expect(callProblem(parseCall(call), 'alice')).toBeUndefined()
  })

  test.each([
    ['AAAAAAAAQACAAAAAAAAAAA==', true],
    ['AAAAAAAAAAAAAAAAAAAAAA==', false],
    ['AAAAAAAAkACAAAAAAAAAAA==', false],
    ['aGk=', false],
    ['not base64', false],
  ])('%s is a UUID: %s', (text, expected) => {
    expect(isUuid(text)).toBe(expected)
  })
})

test('an event is one line of ASCII JSON, and is read as the same again', () => {
  const event = parseEvent({ type: 'ERROR', error: { message: 'Grüße\n' } })

  expect(encodeEvent(event)).toBe('{"type":"ERROR","error":{"message":"Gr\\u00fc\\u00dfe\\n"}}')
  expect(parseEvent(JSON.parse(encodeEvent(event)))).toEqual(event)
})

test.each([
  [{}, "Expecting 'type' to be present"],
  [{ type: 'GET_METRICS' }, "Expecting 'get_metrics' to be present"],
  [{ type: 'TEARDOWN' }, "Expecting 'teardown' to be present"],
  [{ type: 'GET_STATE' }, undefined],
])('MO8: the operator call %j: %s', (call, problem) => {
  expect(masterCallProblem(parseMasterCall(call))).toBe(problem)
})
