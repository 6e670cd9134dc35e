// Server-sent events to one client (the HTML standard's event stream). What the client does not take is bounded in bytes
// here, and in time by the watch that the gateway keeps on every answer.
import type { ServerResponse } from 'node:http';

/** One answer as a stream of `data:` events. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #bufferBytesMax: number;

  constructor(components: { readonly response: ServerResponse }, init: { readonly bufferBytesMax: number }) {
    this.#response = components.response;
    this.#bufferBytesMax = init.bufferBytesMax;
  }

  /** True once the status has been sent: from here on, a failure can only be the last event. */
  get opened(): boolean {
    return this.#response.headersSent;
  }

  open(headers: Readonly<Record<string, number | string | readonly string[] | undefined>>): void {
    const response = this.#response;
    if (response.destroyed) return;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value);
    response.setHeader('content-type', 'text/event-stream; charset=utf-8');
    // Proxies that buffer would hold the tokens back.
    response.setHeader('x-accel-buffering', 'no');
    response.writeHead(200);
  }

  /** Sends one event. A client that lags behind by more than the bound loses its connection, which ends the request. */
  send(data: unknown): void {
    this.#write(`data: ${JSON.stringify(data)}\n\n`);
  }

  /** Ends the stream as OpenAI's API does. */
  done(): void {
    this.#write('data: [DONE]\n\n');
    this.#response.end();
  }

  /** Ends the stream with an error: OpenAI's clients raise it. */
  fail(body: object): void {
    this.send(body);
    this.#response.end();
  }

  #write(text: string): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#response.write(text);
    if (this.#response.writableLength > this.#bufferBytesMax) this.#response.destroy();
  }
}
