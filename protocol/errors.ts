// The one error type that crosses layers, processes and the wire, and the table of its codes.
// Callers branch on the code; people read message and remedy.

interface ErrorSpec {
  /** HTTP status that the gateway answers with. */
  readonly status: number;
  /** True when the same work may succeed on another node (or on a restarted runner). */
  readonly elsewhere: boolean;
  /** What to do about it, in one line. */
  readonly remedy: string;
}

const spec = (status: number, remedy: string, elsewhere = false): ErrorSpec => ({ status, elsewhere, remedy });

/** Every code with its HTTP status, whether another node may succeed, and the usual remedy. */
export const ERRORS = {
  // The request itself
  bad_request: spec(400, 'Correct the named field and send the request again.'),
  unsupported: spec(400, 'Leave the named parameter out; this version of Weft does not support it.'),
  context_too_long: spec(400, "Shorten the messages or lower max_tokens until both fit the model's context."),
  tensor_invalid: spec(400, 'Send tensors whose bytes equal shape × element size.'),
  unauthorized: spec(401, 'Send "Authorization: Bearer KEY" with the key that `weft status` points to.'),
  forbidden: spec(403, 'Call the API from an allowed origin and host, or ask an admin of the mesh for the permission.'),
  not_found: spec(404, 'Check the address of the endpoint.'),
  model_not_found: spec(404, 'Run `weft list` to see the models of this mesh.'),
  body_too_large: spec(413, 'Send a smaller body; the limit is 16 MiB.'),
  cancelled: spec(499, 'Nothing to do: the caller ended the request.'),

  // Capacity and placement
  overloaded: spec(429, 'Try again after the time in Retry-After.', true),
  no_capable_node: spec(
    503,
    'Start a node that offers this model; `weft peers` shows who is missing, `weft doctor` why.',
  ),
  out_of_memory: spec(503, 'Free memory, raise --memory, or let another node of the mesh serve this model.', true),
  declined: spec(503, 'Nothing to do: the node would take longer than asked, and another one is tried.', true),
  deadline_unmeetable: spec(503, 'Allow more time (x-weft-deadline-ms), or try again after the time in Retry-After.'),
  deadline_exceeded: spec(504, 'Allow more time, or send a smaller request.'),

  // Runners
  runner_lost: spec(503, 'Try again; the runner has been started anew.', true),
  runner_timeout: spec(503, 'Try again; the runner did not answer and has been replaced.', true),
  model_quarantined: spec(
    503,
    'Its runner died repeatedly; see `weft ps` for the reason, then restart the node.',
    true,
  ),
  model_corrupt: spec(503, 'A file of the model is not what its manifest says; install the model again.', true),
  model_load_failed: spec(503, 'See the message for what the runtime reported.', true),

  // Peers and the wire
  peer_lost: spec(503, 'Try again; the peer went away.', true),
  peer_timeout: spec(503, 'Try again; the peer stopped answering.', true),
  peer_unreachable: spec(503, 'Check that the peer runs and that its swarm port can be reached.', true),
  frame_invalid: spec(400, 'Update both nodes to the same version of Weft.', true),
  method_unknown: spec(501, 'Update the node that answered: it does not know this method or version.', true),
  quota_exceeded: spec(429, 'Send fewer requests at a time.', true),
  not_a_member: spec(403, 'Join the mesh with a ticket from `weft invite`.', true),

  // Joining
  ticket_invalid: spec(400, 'Copy the whole ticket from `weft invite`, without spaces or line breaks.'),
  ticket_expired: spec(400, 'Ask for a new ticket: run `weft invite` on a member.'),
  join_refused: spec(403, 'Ask for a new ticket: run `weft invite` on a member.'),
  already_member: spec(409, 'This data folder belongs to another mesh; use a second one (WEFT_HOME) to join.'),

  // Models that are fetched, imported or shared
  disk_full: spec(507, 'Free space: `weft gc` deletes what nothing needs, `weft rm` a model; or raise --storage.'),
  hub_unreachable: spec(503, 'Check the connection, HF_ENDPOINT and HTTPS_PROXY; what has come already is kept.'),
  hub_refused: spec(403, 'Check the name, accept the terms on its page where it has some, and set HF_TOKEN.'),
  signature_invalid: spec(403, 'Take the model from a source that you trust, or change the setting `signers`.'),

  // Starting up
  config_invalid: spec(500, 'Correct the named setting.'),
  port_in_use: spec(500, 'Stop the program that holds the port, or choose another port.'),
  home_locked: spec(500, 'Stop the other daemon, or choose another data folder (WEFT_HOME).'),
  home_unwritable: spec(500, 'Make the data folder writable for this user, or choose another one (WEFT_HOME).'),
  daemon_not_running: spec(503, 'Start it with `weft serve`.'),

  stopping: spec(503, 'The node is stopping; send the request to another one.', true),
  internal: spec(500, "See the node's log for this request id."),
} as const satisfies Record<string, ErrorSpec>;

/** A code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** What makes a {@link WeftError}: its code, the sentence for people, and facts as fields. */
export interface WeftErrorInit {
  readonly code: ErrorCode;
  /** What happened and why; safe to show to peers and clients (no path, pid or prompt). */
  readonly message: string;
  /** @default the remedy of the code */
  readonly remedy?: string;
  /** Named facts, such as `param`, `model`, `limit`. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** An expected failure. Anything else that is thrown is a defect and becomes `internal` at the boundary. */
export class WeftError extends Error {
  override readonly name = 'WeftError';
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly facts: Readonly<Record<string, string>>;

  constructor(init: WeftErrorInit, options?: ErrorOptions) {
    super(init.message, options);
    this.code = init.code;
    this.remedy = init.remedy ?? ERRORS[init.code].remedy;
    this.facts = init.facts ?? {};
  }

  /** HTTP status of this code. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  /** True when the same work may succeed on another node. */
  get elsewhere(): boolean {
    return ERRORS[this.code].elsewhere;
  }
}

/** True for a code that this version knows; a newer peer may send others. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/**
 * Turns anything thrown into a WeftError. Unknown errors become `internal` with a text that gives nothing away;
 * the original stays as the cause, for the log of this process only.
 */
export function toWeftError(error: unknown): WeftError {
  if (error instanceof WeftError) return error;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new WeftError({ code: 'deadline_exceeded', message: 'The time for it is over.' }, { cause: error });
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return error.cause instanceof WeftError
      ? error.cause
      : new WeftError({ code: 'cancelled', message: 'The request was cancelled.' }, { cause: error });
  }
  return new WeftError({ code: 'internal', message: 'Something failed inside the node.' }, { cause: error });
}
