export {
  expand,
  expandText,
  Steps,
  TemplateFunctionFailed,
  type Fields,
  type Scope,
  type TemplateFunction,
} from './expand.ts'
export { shownName, TemplateInvalid } from './template-invalid.ts'
