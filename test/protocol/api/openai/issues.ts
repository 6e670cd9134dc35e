// How tests name what a schema of OpenAI's API finds wrong.
import type { z } from 'zod';

/** Path and kind of the first issue, or undefined when the body is taken. */
export function issueOf(schema: z.ZodType, body: unknown): string | undefined {
  const issue = schema.safeParse(body).error?.issues[0];
  if (issue === undefined) return undefined;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path;
  const unsupported = issue.code === 'custom' && issue.params?.unsupported === true;
  return `${path.map(String).join('.')}${unsupported ? ' unsupported' : ''}`;
}

/** A JSON schema of so many levels of objects within each other. */
export function nested(levels: number): Record<string, unknown> {
  let schema: Record<string, unknown> = {};
  for (let level = 1; level < levels; level += 1) schema = { not: schema };
  return schema;
}
