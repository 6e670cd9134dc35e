// What happens on this node, as one stream for whoever watches: the control API's event stream, `weft top`, the desktop.

export type EventType = 'node' | 'model' | 'request' | 'transfer' | 'conversation' | 'settings' | 'log';

export interface NodeEvent {
  /** Counts up from 1 at the node's start: a watcher that lost its connection goes on behind it. */
  readonly id: number;
  readonly type: EventType;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** JSON value. */
  readonly data: unknown;
}

export interface Events {
  publish(type: EventType, data: unknown): void;
  /** Events behind this one that are still kept, oldest first; undefined when some of them are gone already. */
  since(id: number): readonly NodeEvent[] | undefined;
  /** Id of the newest; 0 = none. */
  readonly last: number;
  /** Calls back for every event, at once. Returns what ends the subscription. */
  subscribe(listener: (event: NodeEvent) => void): () => void;
}
