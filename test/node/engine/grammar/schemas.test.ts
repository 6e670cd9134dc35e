// Whatever is drawn under a schema's mask validates against it: random schemas, random logits, a validator that knows
// nothing of this project.
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { readJsonSchema } from '../../../../models/tasks/json-schema.ts';
import { parseJson } from '../../../../models/tasks/json-text.ts';
import { Grammars } from '../../../../node/engine/runner/grammar/grammars.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { runs } from '../../../support/property.ts';
import { sampleText, schemaConstraint } from './sampler.ts';
import { anySchema } from './schemas.ts';

const SCHEMAS = Number(process.env.WEFT_TEST_SCHEMAS ?? 1_000);

const ajv = new Ajv2020({ strict: false, validateFormats: true, ownProperties: true, logger: false });
(addFormats as unknown as (to: Ajv2020) => void)(ajv);

describe('answers under a random schema', () => {
  const grammars = new Grammars();
  afterAll(() => grammars.stop());

  it(`parse and validate, ${SCHEMAS} schemas`, { timeout: 600_000 }, async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(anySchema, fc.nat(), async (schema, seed) => {
        try {
          readJsonSchema(schema, 'response_format');
        } catch (error) {
          // A schema without values, such as a property that must be there and can't.
          expect(error).toBeInstanceOf(WeftError);
          refused++;
          return;
        }
        const answer = await sampleText(grammars, schemaConstraint(schema), { seed });
        const valid = ajv.compile(schema as object);
        // With a reviver: V8 14.6 mixes up names that end with an escape without one.
        const value = parseJson(answer);
        if (!valid(value)) throw new Error(`${answer} ${JSON.stringify(valid.errors)}`);
      }),
      runs(SCHEMAS),
    );
    expect(refused).toBeLessThan(SCHEMAS / 4);
  });
});
