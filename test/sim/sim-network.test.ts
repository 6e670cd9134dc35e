import { describe, expect, it } from 'vitest';
import { Delivery, Line, Pipe, Wire } from './sim-network.ts';
import { VirtualClock } from './virtual-clock.ts';

class Parcel extends Delivery {
  readonly #arrived: () => void;

  constructor(wire: Wire, arrived: () => void) {
    super(wire);
    this.#arrived = arrived;
  }

  protected arrive(): void {
    this.#arrived();
  }
}

/** A wire of 20 ms between a line of 80 Mbit/s (10,000 bytes per ms) and one of 8. */
function wireOf(clock: VirtualClock) {
  const near = new Line(80);
  const far = new Line(8);
  return { near, far, wire: new Wire(clock, { near, far, rttMs: 20 }) };
}

describe('Pipe', () => {
  it('carries bytes one after the other, and promises nothing twice', () => {
    const pipe = new Pipe(8);
    expect(pipe.peek(100, 5_000)).toBe(105);
    expect(pipe.take(100, 5_000)).toBe(105);
    expect(pipe.take(101, 2_000)).toBe(107);
    expect(pipe.peek(200, 1_000)).toBe(201);
  });

  it('changes its rate for what comes later', () => {
    const pipe = new Pipe(8);
    expect(pipe.take(0, 10_000)).toBe(10);
    pipe.mbit = 80;
    expect(pipe.take(0, 10_000)).toBe(11);
  });
});

describe('Wire', () => {
  it('takes half a round trip and the slower line each way', () => {
    const { wire } = wireOf(new VirtualClock());
    expect(wire.takeUp(0, 10_000)).toBe(20);
    expect(wire.takeDown(0, 10_000)).toBe(20);
    expect(wire.downBytesPerMs).toBe(1_000);
  });

  it("shares a node's line among all that crosses it", () => {
    const clock = new VirtualClock();
    const far = new Line(8);
    const wires = [1, 2].map(() => new Wire(clock, { near: new Line(80), far, rttMs: 20 }));
    expect(wires.map((wire) => wire.takeUp(0, 10_000))).toEqual([20, 30]);
    // The other way is another one.
    expect(wires.map((wire) => wire.takeDown(0, 10_000))).toEqual([20, 30]);
  });

  it("shares an entry's line among all its nodes", () => {
    const clock = new VirtualClock();
    const near = new Line(80);
    const wires = [1, 2, 3].map(() => new Wire(clock, { near, far: new Line(800), rttMs: 0 }));
    expect(wires.map((wire) => wire.takeUp(0, 10_000))).toEqual([1, 2, 3]);
  });

  it('gets longer and thinner with the lines at its ends', () => {
    const { wire, near, far } = wireOf(new VirtualClock());
    far.addedRttMs = 100;
    near.addedRttMs = 10;
    far.mbit = 0.8;
    expect(wire.rttMs).toBe(130);
    expect(wire.takeUp(0, 10_000)).toBe(165);
  });

  it('holds back what arrives while it is silent, and lets it through in its order', async () => {
    const clock = new VirtualClock();
    const { wire } = wireOf(clock);
    const arrived: [string, number][] = [];
    const send = (name: string, atMs: number): void =>
      clock.schedule(new Parcel(wire, () => arrived.push([name, clock.now()])), atMs);
    send('before', 4);
    send('first', 6);
    send('second', 7);
    send('later', 95);
    clock.after(5, () => wire.silence());
    clock.after(80, () => wire.heal());
    await clock.run(79);
    expect(arrived).toEqual([['before', 4]]);
    expect(wire.isSilent).toBe(true);
    await clock.run(100);
    expect(arrived.slice(1)).toEqual([
      ['first', 90],
      ['second', 90],
      ['later', 95],
    ]);
  });
});
