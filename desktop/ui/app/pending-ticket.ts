// An invitation that was opened from outside (weft://join/…) and waits for the person to agree.

let ticket: string | undefined;

export const pendingTicket = (): string | undefined => ticket;

export function setPendingTicket(next: string): void {
  ticket = next;
}

/** It has been used, or turned down. */
export function takePendingTicket(): string | undefined {
  const taken = ticket;
  ticket = undefined;
  return taken;
}
