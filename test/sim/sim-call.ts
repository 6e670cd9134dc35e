// One call of an entry to a node, from the request's first byte to the answer's last: acknowledged on receipt, given up in
// time, cancelled there when nobody waits here any more.
import { toAbortError } from '../../node/core/calls.ts';
import type { PeerCallOptions } from '../../node/core/mesh.ts';
import type { Load } from '../../protocol/capability.ts';
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import { Job, type JobOwner } from './sim-job.ts';
import type { Connection, SimLink } from './sim-link.ts';
import { type WorkRef, workOf } from './sim-models.ts';
import { Delivery, type Wire } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import { SimEvent } from './virtual-clock.ts';

/** Round trips that an acknowledgement may take beyond the method's own bound: as node/mesh/client.ts. */
const ACK_ROUND_TRIPS = 4;
/** Larger requests measure the link's rate, not its round trip: as node/mesh/client.ts. */
const SMALL_REQUEST_BYTES = 64 << 10;

export function failure(code: ErrorCode, peer: NodeId, facts: Readonly<Record<string, string>> = {}): WeftError {
  return new WeftError({ code, message: `Simulated: ${code}.`, facts: { peer, ...facts } });
}

type Resolve = (result: Omit<EncodeResult, 'node'>) => void;

/** One call; as a delivery, its request on the way there and its answer on the way back. */
export class Call extends Delivery implements JobOwner {
  readonly work: WorkRef;
  readonly batch: boolean;
  readonly #connection: Connection;
  readonly #options: PeerCallOptions<never>;
  readonly #resolve: Resolve;
  readonly #reject: (error: WeftError) => void;
  readonly #requestBytes: number;
  readonly #acknowledgement: Acknowledgement;
  #sentMs = 0;
  #over = false;
  #withdrawn = false;
  #job: Job | undefined;
  #result: Omit<EncodeResult, 'node'> | undefined;
  #refusal: WeftError | undefined;
  #load: Load | undefined;

  constructor(
    connection: Connection,
    request: EncodeRequest,
    options: PeerCallOptions<never>,
    resolve: Resolve,
    reject: (error: WeftError) => void,
  ) {
    super(connection.link.wire);
    this.work = workOf(request.model);
    this.batch = options.priority === 'batch';
    this.#connection = connection;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#requestBytes = request.ids.byteLength + request.lengths.byteLength;
    this.#acknowledgement = new Acknowledgement(this, connection.link);
  }

  send(): void {
    const { link, calls } = this.#connection;
    const { clock, node, wire, estimator } = link;
    this.#sentMs = clock.now();
    calls.add(this);
    if (link.record !== undefined) link.record.callsInFlight++;
    const arrivesMs = wire.takeUp(this.#sentMs, this.#requestBytes);
    clock.schedule(this, arrivesMs);
    node.coming.add(this);
    const ackMs = PEER_METHODS.encode.timeouts.ackMs + ACK_ROUND_TRIPS * (estimator.rttMs ?? 0);
    // The wait begins when the last byte has left.
    this.#acknowledgement.await(arrivesMs - wire.rttMs / 2 + ackMs);
    this.#options.signal.addEventListener('abort', () => this.#abort(), { once: true });
    link.note('sent', this.work.request);
  }

  protected arrive(): void {
    if (this.#result === undefined && this.#refusal === undefined) this.#arriveThere();
    else this.#arriveBack();
  }

  #arriveThere(): void {
    const { link } = this.#connection;
    const { node, clock, wire } = link;
    if (node.state === 'stopped') {
      node.hold(this);
      return;
    }
    node.coming.delete(this);
    if (this.#withdrawn || !link.leadsThere(this.#connection)) return;
    const { withinMs, priority } = this.#options;
    const taken = node.take(this, { withinMs, priority });
    const backMs = clock.now() + wire.rttMs / 2;
    if (taken instanceof Job) {
      this.#job = taken;
      this.#acknowledgement.comes(backMs, node.load());
      return;
    }
    this.#refusal = failure(taken.code, node.id, taken.facts);
    this.#load = node.load();
    clock.schedule(this, backMs);
  }

  /** The node has the answer. */
  ended(job: Job): void {
    const { link } = this.#connection;
    const { clock, wire } = link;
    const { embeddings, outBytes } = job.holding.model;
    const queueMs = job.begunMs - job.arrivedMs;
    const computeMs = clock.now() - job.begunMs - job.loadMs;
    const timing = { queueMs: queueMs + job.loadMs, loadMs: job.loadMs, computeMs, prefillMs: 0 };
    this.#result = { embeddings, dimensions: embeddings.length, timing };
    this.#load = link.node.load();
    clock.schedule(this, wire.takeDown(clock.now(), outBytes));
  }

  #arriveBack(): void {
    const { link, open } = this.#connection;
    if (!open) return;
    link.heard(this.#load);
    if (this.#over) return;
    if (this.#result === undefined) {
      if (this.#refusal !== undefined) this.fail(this.#refusal);
      return;
    }
    this.#acknowledgement.comesNow();
    this.#close();
    link.note('answered', this.work.request);
    link.clock.settled();
    this.#resolve(this.#result);
  }

  /** The node has the request, and has said so. */
  acknowledged(load: Load): void {
    const { link, open } = this.#connection;
    if (!open) return;
    link.heard(load);
    if (this.#over) return;
    const elapsedMs = link.clock.now() - this.#sentMs;
    if (this.#requestBytes <= SMALL_REQUEST_BYTES) link.estimator.sawRoundTrip(elapsedMs);
    else link.estimator.sawTransfer(this.#requestBytes, elapsedMs - (link.estimator.rttMs ?? 0));
    if (this.#options.onAck === undefined) return;
    link.clock.settled();
    this.#options.onAck();
  }

  /** No word that the request is there. */
  overdue(): void {
    this.fail(failure('peer_timeout', this.#connection.link.node.id));
  }

  /** Ends it for its caller; the node is told, where it has it. */
  fail(error: WeftError): void {
    if (this.#over) return;
    const { link, open } = this.#connection;
    const { clock, node, wire } = link;
    this.#close();
    link.note('failed', this.work.request);
    clock.settled();
    this.#reject(error);
    if (this.#refusal !== undefined) return;
    // Where the connection is gone, the node's own heartbeat ends its calls at about the same time.
    const tellMs = open ? wire.rttMs / 2 : 0;
    clock.schedule(new Cancellation(this, wire, open), clock.now() + tellMs);
    if (!open) node.coming.delete(this);
  }

  /** The node hears that nobody waits. */
  cancelled(): void {
    this.#withdrawn = true;
    const { link, incarnation } = this.#connection;
    if (this.#job !== undefined && link.node.incarnation === incarnation) link.node.cancel(this.#job);
  }

  get node(): SimNode {
    return this.#connection.link.node;
  }

  #abort(): void {
    if (!this.#over) this.fail(toAbortError(this.#options.signal));
  }

  #close(): void {
    const { link, calls } = this.#connection;
    this.#over = true;
    calls.delete(this);
    if (link.record !== undefined) link.record.callsInFlight--;
    this.#acknowledgement.forget();
  }
}

/** The acknowledgement on its way back; before that, the end of the wait for it. */
class Acknowledgement extends SimEvent {
  readonly #call: Call;
  readonly #link: SimLink;
  #untilMs = 0;
  #load: Load | undefined;

  constructor(call: Call, link: SimLink) {
    super();
    this.#call = call;
    this.#link = link;
  }

  await(untilMs: number): void {
    this.#untilMs = untilMs;
    this.#link.clock.schedule(this, untilMs);
  }

  comes(atMs: number, load: Load): void {
    this.#load = load;
    if (this.place >= 0 && atMs < this.#untilMs) this.#link.clock.schedule(this, atMs);
  }

  /** What came behind it is here. */
  comesNow(): void {
    const { place } = this;
    if (place < 0 || this.#load === undefined) return;
    this.#link.clock.cancel(this);
    this.#call.acknowledged(this.#load);
  }

  forget(): void {
    this.#link.clock.cancel(this);
  }

  fire(): void {
    const { clock, wire } = this.#link;
    if (clock.now() >= this.#untilMs) this.#call.overdue();
    // The silent wire may speak again before the wait is over, but whoever waits doesn't know that.
    else if (wire.isSilent || this.#load === undefined) clock.schedule(this, this.#untilMs);
    else this.#call.acknowledged(this.#load);
  }
}

class Cancellation extends Delivery {
  readonly #call: Call;
  readonly #overWire: boolean;

  constructor(call: Call, wire: Wire, overWire: boolean) {
    super(wire);
    this.#call = call;
    this.#overWire = overWire;
  }

  override fire(): void {
    if (this.#overWire) super.fire();
    else this.arrive();
  }

  protected arrive(): void {
    const { node } = this.#call;
    if (node.state === 'stopped') node.hold(this);
    else this.#call.cancelled();
  }
}
