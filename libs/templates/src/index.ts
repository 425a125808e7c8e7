export {
  expand,
  expandText,
  TemplateFunctionFailed,
  type Fields,
  type Scope,
  type TemplateFunction,
} from './expand.ts'
export { shownName, TemplateInvalid } from './template-invalid.ts'
