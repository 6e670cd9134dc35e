// The control API: what the command line and the desktop ask of the node beside them, under /api/v1. Field names are
// those of the ports in node/core. Readers keep to these schemas and ignore what a newer node adds.
export * from './control/conversations.ts';
export * from './control/cuts.ts';
export * from './control/events.ts';
export * from './control/infer.ts';
export * from './control/manage.ts';
export * from './control/members.ts';
export * from './control/models.ts';
export * from './control/node.ts';
export * from './control/operation.ts';
export {
  ConsideredCut,
  PLAN_TEXTS_MAX,
  PlanAnswer,
  PlanRequest,
  POLICY_NAME_LENGTH_MAX,
  ReplayAnswer,
  ReplayQuery,
} from './control/plans.ts';
export * from './control/pulse.ts';
export * from './control/requests.ts';
export * from './control/sessions.ts';
