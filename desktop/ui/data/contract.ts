// Names for shapes of the control API that the pages use often.
import type { ControlEvent, PeersAnswer } from '../../../protocol/api/control.ts';

export type { HistoryAnswer, Pulse } from '../../../protocol/api/control/pulse.ts';
export type { SessionAnswer, SessionsAnswer, SignInLinkAnswer } from '../../../protocol/api/control/sessions.ts';

/** One event of the node's stream. */
export type NodeEvent = ControlEvent;

export type EventType = NodeEvent['type'];

export type EventOf<Type extends EventType> = Extract<NodeEvent, { type: Type }>;

/** One other member of the mesh. */
export type Peer = PeersAnswer['peers'][number];
