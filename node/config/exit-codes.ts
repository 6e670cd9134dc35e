// What the process tells the shell: one number per kind of failure, listed in docs/configuration.md. Used by the CLI.
import { type ErrorCode, toWeftError } from '../../protocol/errors.ts';

export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  config: 3,
  portInUse: 4,
  daemonNotRunning: 5,
  notFound: 6,
  unavailable: 7,
  refused: 8,
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Every error code's exit code. */
export const EXIT_CODES: Readonly<Record<ErrorCode, ExitCode>> = {
  bad_request: ExitCode.usage,
  unsupported: ExitCode.usage,
  context_too_long: ExitCode.usage,
  tensor_invalid: ExitCode.usage,
  body_too_large: ExitCode.usage,
  ticket_invalid: ExitCode.usage,

  config_invalid: ExitCode.config,
  home_locked: ExitCode.config,
  home_unwritable: ExitCode.config,

  port_in_use: ExitCode.portInUse,
  daemon_not_running: ExitCode.daemonNotRunning,

  not_found: ExitCode.notFound,
  model_not_found: ExitCode.notFound,

  overloaded: ExitCode.unavailable,
  no_capable_node: ExitCode.unavailable,
  out_of_memory: ExitCode.unavailable,
  declined: ExitCode.unavailable,
  deadline_unmeetable: ExitCode.unavailable,
  deadline_exceeded: ExitCode.unavailable,
  runner_lost: ExitCode.unavailable,
  runner_timeout: ExitCode.unavailable,
  model_quarantined: ExitCode.unavailable,
  model_corrupt: ExitCode.unavailable,
  model_load_failed: ExitCode.unavailable,
  peer_lost: ExitCode.unavailable,
  peer_timeout: ExitCode.unavailable,
  peer_unreachable: ExitCode.unavailable,
  quota_exceeded: ExitCode.unavailable,
  stopping: ExitCode.unavailable,

  disk_full: ExitCode.unavailable,
  hub_unreachable: ExitCode.unavailable,

  unauthorized: ExitCode.refused,
  forbidden: ExitCode.refused,
  not_a_member: ExitCode.refused,
  ticket_expired: ExitCode.refused,
  join_refused: ExitCode.refused,
  already_member: ExitCode.refused,
  hub_refused: ExitCode.refused,
  signature_invalid: ExitCode.refused,

  cancelled: ExitCode.interrupted,

  frame_invalid: ExitCode.failure,
  method_unknown: ExitCode.failure,
  internal: ExitCode.failure,
};

/** The exit code for whatever a command ended with. */
export function exitCodeOf(error: unknown): ExitCode {
  return EXIT_CODES[toWeftError(error).code];
}
