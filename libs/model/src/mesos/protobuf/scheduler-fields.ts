import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/v1/scheduler/scheduler.proto, as far as they are read and written here.
 */

export const schedulerFields: FieldNumbers = {
  'scheduler.Call': {
    framework_id: [1, 'FrameworkID'],
    type: [2, 'scheduler.Call.Type'],
    subscribe: [3, 'scheduler.Call.Subscribe'],
    accept: [4, 'scheduler.Call.Accept'],
    decline: [5, 'scheduler.Call.Decline'],
    accept_inverse_offers: [13, 'scheduler.Call.AcceptInverseOffers'],
    decline_inverse_offers: [14, 'scheduler.Call.DeclineInverseOffers'],
    revive: [15, 'scheduler.Call.Revive'],
    kill: [6, 'scheduler.Call.Kill'],
    shutdown: [7, 'scheduler.Call.Shutdown'],
    acknowledge: [8, 'scheduler.Call.Acknowledge'],
    acknowledge_operation_status: [17, 'scheduler.Call.AcknowledgeOperationStatus'],
    reconcile: [9, 'scheduler.Call.Reconcile'],
    reconcile_operations: [18, 'scheduler.Call.ReconcileOperations'],
    message: [10, 'scheduler.Call.Message'],
    request: [11, 'scheduler.Call.Request'],
    suppress: [16, 'scheduler.Call.Suppress'],
    update_framework: [19, 'scheduler.Call.UpdateFramework'],
  },
  'scheduler.Call.Subscribe': {
    framework_info: [1, 'FrameworkInfo'],
    suppressed_roles: 2,
  },
  'scheduler.Call.Accept': {
    offer_ids: [1, 'OfferID'],
    operations: [2, 'Offer.Operation'],
    filters: [3, 'Filters'],
  },
  'scheduler.Call.Decline': {
    offer_ids: [1, 'OfferID'],
    filters: [2, 'Filters'],
  },
  'scheduler.Call.AcceptInverseOffers': {
    inverse_offer_ids: [1, 'OfferID'],
    filters: [2, 'Filters'],
  },
  'scheduler.Call.DeclineInverseOffers': {
    inverse_offer_ids: [1, 'OfferID'],
    filters: [2, 'Filters'],
  },
  'scheduler.Call.Revive': {
    roles: 1,
  },
  'scheduler.Call.Kill': {
    task_id: [1, 'TaskID'],
    agent_id: [2, 'AgentID'],
    kill_policy: [3, 'KillPolicy'],
  },
  'scheduler.Call.Shutdown': {
    executor_id: [1, 'ExecutorID'],
    agent_id: [2, 'AgentID'],
  },
  'scheduler.Call.Acknowledge': {
    agent_id: [1, 'AgentID'],
    task_id: [2, 'TaskID'],
    uuid: 3,
  },
  'scheduler.Call.AcknowledgeOperationStatus': {
    agent_id: [1, 'AgentID'],
    resource_provider_id: [2, 'ResourceProviderID'],
    uuid: 3,
    operation_id: [4, 'OperationID'],
  },
  'scheduler.Call.Reconcile': {
    tasks: [1, 'scheduler.Call.Reconcile.Task'],
  },
  'scheduler.Call.Reconcile.Task': {
    task_id: [1, 'TaskID'],
    agent_id: [2, 'AgentID'],
  },
  'scheduler.Call.ReconcileOperations': {
    operations: [1, 'scheduler.Call.ReconcileOperations.Operation'],
  },
  'scheduler.Call.ReconcileOperations.Operation': {
    operation_id: [1, 'OperationID'],
    agent_id: [2, 'AgentID'],
    resource_provider_id: [3, 'ResourceProviderID'],
  },
  'scheduler.Call.Message': {
    agent_id: [1, 'AgentID'],
    executor_id: [2, 'ExecutorID'],
    data: 3,
  },
  'scheduler.Call.Request': {
    requests: [1, 'Request'],
  },
  'scheduler.Call.Suppress': {
    roles: 1,
  },
  'scheduler.Call.UpdateFramework': {
    framework_info: [1, 'FrameworkInfo'],
    suppressed_roles: 2,
  },
  'scheduler.Event': {
    type: [1, 'scheduler.Event.Type'],
    subscribed: [2, 'scheduler.Event.Subscribed'],
    offers: [3, 'scheduler.Event.Offers'],
    rescind: [4, 'scheduler.Event.Rescind'],
    inverse_offers: [9, 'scheduler.Event.InverseOffers'],
    rescind_inverse_offer: [10, 'scheduler.Event.RescindInverseOffer'],
    update: [5, 'scheduler.Event.Update'],
    update_operation_status: [11, 'scheduler.Event.UpdateOperationStatus'],
    message: [6, 'scheduler.Event.Message'],
    failure: [7, 'scheduler.Event.Failure'],
    error: [8, 'scheduler.Event.Error'],
  },
  'scheduler.Event.Subscribed': {
    framework_id: [1, 'FrameworkID'],
    heartbeat_interval_seconds: 2,
    master_info: [3, 'MasterInfo'],
  },
  'scheduler.Event.Offers': {
    offers: [1, 'Offer'],
  },
  'scheduler.Event.Rescind': {
    offer_id: [1, 'OfferID'],
  },
  'scheduler.Event.InverseOffers': {
    inverse_offers: [1, 'InverseOffer'],
  },
  'scheduler.Event.RescindInverseOffer': {
    inverse_offer_id: [1, 'OfferID'],
  },
  'scheduler.Event.Update': {
    status: [1, 'TaskStatus'],
  },
  'scheduler.Event.UpdateOperationStatus': {
    status: [1, 'OperationStatus'],
  },
  'scheduler.Event.Message': {
    agent_id: [1, 'AgentID'],
    executor_id: [2, 'ExecutorID'],
    data: 3,
  },
  'scheduler.Event.Failure': {
    agent_id: [1, 'AgentID'],
    executor_id: [2, 'ExecutorID'],
    status: 3,
  },
  'scheduler.Event.Error': {
    message: 1,
  },
}
