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

  /**
   * Sends one event. A client that lags behind by more than the bound loses its connection, which ends the request.
   * @param fields of the event beside its data: its type, and the id that a client names when it comes back
   */
  send(data: unknown, fields: { readonly event?: string; readonly id?: number | string } = {}): void {
    const id = fields.id === undefined ? '' : `id: ${fields.id}\n`;
    const event = fields.event === undefined ? '' : `event: ${fields.event}\n`;
    this.#write(`${id}${event}data: ${JSON.stringify(data)}\n\n`);
  }

  /**
   * Tells a client where it is without an event, which shows the connection to be alive as well.
   * @param retryMs how long it waits before it comes back
   */
  mark(id: string, retryMs?: number): void {
    this.#write(`${retryMs === undefined ? '' : `retry: ${retryMs}\n`}id: ${id}\n\n`);
  }

  /** Ends the stream with the last event. */
  end(): void {
    this.#response.end();
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
