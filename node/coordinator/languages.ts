// The language that a client names → the model's code of it. Used by speech recognition.
import { languageName } from '../core/language-names.ts';
import { refusal } from './refusal.ts';

/**
 * The code of a language that a client named by code or by English name.
 * @param known the model's codes; none for a model of English alone
 * @throws WeftError `bad_request` for one that the model doesn't know
 */
export function languageCode(wanted: string, known: readonly string[], model: string): string | undefined {
  // A region says nothing of a language here: `en-US` is `en`.
  const name = wanted.trim().toLowerCase();
  const short = name.split(/[-_]/, 1)[0] ?? name;
  const code = [name, short].find((candidate) => known.includes(candidate));
  if (code !== undefined) return code;
  const byName = known.find((candidate) => languageName(candidate) === name);
  if (byName !== undefined) return byName;
  if (known.length === 0 && (short === 'en' || name === 'english')) return undefined;
  throw refusal(`${model} doesn't know the language "${wanted.slice(0, 40)}".`, 'language');
}
