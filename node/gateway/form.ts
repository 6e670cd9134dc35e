// Reads a request's body as a form with one file, within bounds that hold while it arrives. Used by the exchange, for the
// endpoints that take sounds; @fastify/multipart is registered for those alone.
import type { Multipart } from '@fastify/multipart';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WeftError } from '../../protocol/errors.ts';
import { grown } from './body.ts';
import { HttpError } from './errors.ts';
import type { GatewayLimits } from './limits.ts';

/** Bytes of a form around its file: boundaries, names, and the fields. */
const FORM_BYTES_AROUND = 1 << 20;

type FormLimits = Pick<GatewayLimits, 'fileBytesMax' | 'formFieldsMax' | 'formFieldBytesMax'>;

/** What the plugin is registered with. */
export const formOptions = ({ fileBytesMax, formFieldsMax, formFieldBytesMax }: FormLimits) => ({
  limits: {
    files: 1,
    fileSize: fileBytesMax,
    fields: formFieldsMax,
    fieldSize: formFieldBytesMax,
    fieldNameSize: 100,
    parts: formFieldsMax + 1,
    headerPairs: 32,
  },
  throwFileSizeLimit: false,
});

/** @throws HttpError 415 for another type of body */
export function checkForm({ headers }: FastifyRequest): void {
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'multipart/form-data') return;
  throw new HttpError(415, {
    code: 'bad_request',
    message: 'The body is not of type multipart/form-data.',
    remedy: 'Send the file as a form, as `curl -F file=@FILE` does.',
  });
}

/**
 * The fields by name, the file's bytes among them; a field that came several times as a list.
 * @param take asked for every byte of memory before it is allocated; may throw
 * @throws WeftError `bad_request`, `body_too_large`, what `take` throws, or `cancelled` when the client goes away
 */
export async function readForm(
  request: FastifyRequest,
  reply: FastifyReply,
  limits: FormLimits,
  take: (bytes: number) => void,
): Promise<Record<string, unknown>> {
  const { fileBytesMax } = limits;
  if (Number(request.headers['content-length'] ?? 0) > fileBytesMax + FORM_BYTES_AROUND) throw tooLarge(fileBytesMax);
  if (request.headers.expect !== undefined) reply.raw.writeContinue();
  const form: Record<string, unknown> = {};
  try {
    for await (const part of request.parts()) {
      const { fieldname: name } = part;
      if (part.type === 'file') {
        if (name !== 'file') throw refuse(`"${name.slice(0, 100)}" takes no file.`, name);
        form.file = await readFile(part, fileBytesMax, take);
      } else {
        if (part.valueTruncated || part.fieldnameTruncated) throw refuse('A field of the form is too long.', name);
        form[name] = Object.hasOwn(form, name) ? [form[name], part.value].flat() : part.value;
      }
    }
    return form;
  } catch (error) {
    // What still comes is dropped, so that the client sees the answer: see `linger`.
    request.raw.unpipe();
    request.raw.resume();
    throw formError(error, fileBytesMax);
  }
}

async function readFile(
  part: Extract<Multipart, { type: 'file' }>,
  bytesMax: number,
  take: (bytes: number) => void,
): Promise<Buffer> {
  let buffer: Buffer = Buffer.alloc(0);
  let length = 0;
  for await (const chunk of part.file as AsyncIterable<Buffer>) {
    buffer = grown(buffer, length, length + chunk.length, bytesMax, take);
    length += chunk.copy(buffer, length);
  }
  if (part.file.truncated) throw tooLarge(bytesMax);
  return buffer.subarray(0, length);
}

const refuse = (message: string, name: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param: name.slice(0, 100) } });

const tooLarge = (bytesMax: number): WeftError =>
  new WeftError({
    code: 'body_too_large',
    message: `The file is larger than ${bytesMax} bytes.`,
    remedy: `Send a smaller file, up to ${bytesMax >> 20} MiB; packed as MP3 or Opus an hour takes 15 to 30 MB.`,
    facts: { param: 'file' },
  });

/** What the plugin throws, as an error of ours. */
function formError(error: unknown, bytesMax: number): unknown {
  if (error instanceof WeftError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'FST_REQ_FILE_TOO_LARGE') return tooLarge(bytesMax);
  if (code === 'FST_MP_PREMATURE_CLOSE') {
    return new WeftError({ code: 'cancelled', message: 'The client went away before the body was complete.' });
  }
  const message = code.endsWith('_LIMIT')
    ? 'The form has too many fields or files.'
    : 'The body is not a form, or ends in its midst.';
  return new WeftError(
    { code: 'bad_request', message, remedy: 'Send one file and the fields that the API names.' },
    { cause: error },
  );
}
