import { expect, test } from 'vitest'
import { containerIdProblem, idProblem } from './id.ts'
import { roleProblem } from './role.ts'

test.each([
  ['', 'ID must not be empty'],
  ['x'.repeat(256), 'ID must not be greater than 255 characters'],
  ['.', "'.' is disallowed"],
  ['..', "'..' is disallowed"],
  ['a/b', "'a/b' contains invalid characters"],
  ['a\\b', "'a\\b' contains invalid characters"],
  ['a\u0007', "'a\u0007' contains invalid characters"],
  ['a\ud800', 'ID contains invalid characters'],
  ['x'.repeat(255), undefined],
  ['app.1 of 2', undefined],
])('MO8: the id %j: %s (mesos.md §3)', (id, problem) => {
  expect(idProblem(id)).toBe(problem)
})

test.each([
  [{ value: 'c-1' }, undefined],
  [{ value: '' }, "'ContainerID.value' is invalid: ID must not be empty"],
  [{ value: 'a.b' }, "'ContainerID.value' 'a.b' contains invalid characters"],
  [{ value: 'a b' }, "'ContainerID.value' 'a b' contains invalid characters"],
  [
    { value: 'x'.repeat(243) },
    `'ContainerID.value' '${'x'.repeat(243)}' exceeds the maximum length (242)`,
  ],
  [
    { value: 'a', parent: { value: 'b.c' } },
    "'ContainerID.parent' is invalid: 'ContainerID.value' 'b.c' contains invalid characters",
  ],
])('MO8: the container id %j: %s', (id, problem) => {
  expect(containerIdProblem(id)).toBe(problem)
})

test.each([
  ['*', undefined],
  ['eng/web', undefined],
  ['', 'Role names cannot be the empty string'],
  ['/a', "Role '/a' cannot start with a slash"],
  ['a/', "Role 'a/' cannot end with a slash"],
  ['a//b', "Role 'a//b' cannot contain two adjacent slashes"],
  ['a/..', "Role 'a/..' cannot include '..' as a component"],
  ['a/*', "Role 'a/*' cannot include '*' as a component"],
  ['a/-b', "Role component '-b' is invalid because it starts with a dash"],
  ['a b', "Role component 'a b' is invalid because it contains backspace or whitespace"],
  ['a\b', "Role component 'a\b' is invalid because it contains backspace or whitespace"],
])('MO8: the role %j: %s', (role, problem) => {
  expect(roleProblem(role)).toBe(problem)
})
