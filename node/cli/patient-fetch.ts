// A request whose answer may take hours. fetch gives up by itself when the headers of an answer take longer than five
// minutes; this waits for as long as the connection holds, which the daemon's TCP keep-alive looks after.
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';

export interface PatientInit {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
}

/** As fetch, without redirects. @throws what the connection fails with; an AbortError after the signal */
export async function patientFetch(url: URL, { method, headers, body, signal }: PatientInit): Promise<Response> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    // A connection of its own, closed behind the answer.
    const sent = request(url, { method, headers, signal, agent: false }, resolve);
    sent.on('error', (error) => reject(new TypeError('The connection failed.', { cause: error })));
    sent.end(body);
  });
  const { statusCode = 500, rawHeaders } = answer;
  const headersRead = rawHeaders.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [],
  );
  return new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, {
    status: statusCode,
    headers: headersRead,
  });
}
