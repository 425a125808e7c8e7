import type { ResourceId } from '@conclave/model'

/*
 * What may be granted beside secrets, in DC/OS' names. Source: dcos.md §5.
 */

/** `create`: to subscribe as a framework, and take offers. */
export const frameworksResource = 'dcos:mesos:master:framework' as ResourceId

/** `create`: to submit runs, and for a framework to launch tasks. */
export const tasksResource = 'dcos:mesos:master:task' as ResourceId

/**
 * `full`: to hear of everybody's runs that wait for a scheduler, and to launch them. A right of its own,
 * since a spec may say more than another framework should know. DC/OS has no such resource.
 */
export const schedulingResource = 'dcos:conclave:scheduling' as ResourceId

/** `full`: to see, enter and end everybody's tasks, and to read the state of the cluster. */
export const operatorResource = 'dcos:adminrouter:ops:mesos' as ResourceId
