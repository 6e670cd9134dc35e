// Notifications of the system, for what matters: few, without tricks, and none where the person wants none.
import type { Notice } from '../shared/bridge.ts';
import type { DesktopPort } from './host.ts';
import { NOTICES_PER_MINUTE_MAX } from './limits.ts';
import { shownText } from './text.ts';

export interface NoticesComponents {
  readonly desktop: Pick<DesktopPort, 'notify'>;
  readonly wanted: () => boolean;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
}

export class Notices {
  readonly #components: NoticesComponents;
  #shownAtMs: number[] = [];

  constructor(components: NoticesComponents) {
    this.#components = components;
  }

  /** @param onClick what the notification leads to */
  show({ title, body }: Notice, onClick: () => void): void {
    const { desktop, wanted, now } = this.#components;
    if (!wanted()) return;
    const nowMs = now();
    this.#shownAtMs = this.#shownAtMs.filter((atMs) => nowMs - atMs < 60_000);
    if (this.#shownAtMs.length >= NOTICES_PER_MINUTE_MAX) return;
    this.#shownAtMs.push(nowMs);
    desktop.notify({ title: shownText(title), body: shownText(body) }, onClick);
  }
}
