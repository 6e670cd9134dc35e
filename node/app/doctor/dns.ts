// The little of DNS messages that the doctor needs on the local network: asking for a name, and which names and addresses
// a message holds. Reads what strangers send: every step is bounded by the message itself.

/** What a message says, as far as it matters here. */
export interface DnsMessage {
  readonly isResponse: boolean;
  /** Names that are asked for or answered. */
  readonly names: readonly string[];
  /** `dnsaddr=` texts of TXT records: multiaddrs. */
  readonly addresses: readonly string[];
}

const HEADER_BYTES = 12;
const TYPE_PTR = 12;
const TYPE_TXT = 16;
const CLASS_IN = 1;
/** Records that one message may have: a datagram has no room for more that mean something. */
const RECORDS_MAX = 128;
/** A name has at most 255 bytes, and so at most 127 labels; pointers may not go round in circles. */
const STEPS_MAX = 128;

/** A question for the pointers of a service, such as `_weft-0011._udp.local`. */
export function encodeQuery(name: string): Uint8Array {
  const labels = name.split('.').flatMap((label) => {
    const bytes = Buffer.from(label);
    return [bytes.length, ...bytes];
  });
  return Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, TYPE_PTR, 0, CLASS_IN]);
}

/** Reads a datagram; undefined for one that is no DNS message. */
export function readDns(datagram: Uint8Array): DnsMessage | undefined {
  const reader = new Reader(datagram);
  try {
    return reader.message();
  } catch (error) {
    if (error instanceof RangeError) return undefined; // It ends in the middle, or runs in circles.
    throw error;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = HEADER_BYTES;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @throws RangeError */
  message(): DnsMessage {
    const flags = this.#bytes.readUInt16BE(2);
    const [questions, ...records] = [4, 6, 8, 10].map((at) => this.#bytes.readUInt16BE(at));
    const answers = records.reduce((sum, count) => sum + count, 0);
    if ((questions ?? 0) + answers > RECORDS_MAX) throw new RangeError('too many records');
    const names: string[] = [];
    const addresses: string[] = [];
    for (let left = questions ?? 0; left > 0; left--) {
      names.push(this.#name());
      this.#at += 4;
    }
    for (let left = answers; left > 0; left--) {
      names.push(this.#name());
      addresses.push(...this.#record());
    }
    return { isResponse: (flags & 0x8000) !== 0, names, addresses };
  }

  /** Behind a record's name: its type, class, lifetime and data. */
  #record(): readonly string[] {
    const type = this.#bytes.readUInt16BE(this.#at);
    const length = this.#bytes.readUInt16BE(this.#at + 8);
    const start = this.#at + 10;
    this.#at = start + length;
    if (this.#at > this.#bytes.length) throw new RangeError('the data is cut off');
    if (type !== TYPE_TXT) return [];
    const texts: string[] = [];
    for (let at = start; at < this.#at; ) {
      const size = this.#bytes.readUInt8(at);
      texts.push(this.#bytes.toString('utf8', at + 1, Math.min(at + 1 + size, this.#at)));
      at += 1 + size;
    }
    return texts.filter((text) => text.startsWith('dnsaddr=')).map((text) => text.slice('dnsaddr='.length));
  }

  #name(): string {
    const labels: string[] = [];
    let at = this.#at;
    let end: number | undefined;
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const length = this.#bytes.readUInt8(at);
      if ((length & 0xc0) === 0xc0) {
        end ??= at + 2;
        at = this.#bytes.readUInt16BE(at) & 0x3fff;
      } else if (length === 0) {
        this.#at = end ?? at + 1;
        return labels.join('.');
      } else {
        if (at + 1 + length > this.#bytes.length) throw new RangeError('the name is cut off');
        labels.push(this.#bytes.toString('utf8', at + 1, at + 1 + length));
        at += 1 + length;
      }
    }
    throw new RangeError('the name has no end');
  }
}
