// The values of `format` that a JSON schema may ask for, as regular expressions: each describes a part of what the format
// allows, so that whatever it describes is valid by any validator.

const DIGITS = '\\d{1,9}';
const DATE = '\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))';
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+\\-]([01]\\d|2[0-3]):[0-5]\\d)';
const CLOCK = `(${DIGITS}H(${DIGITS}M(${DIGITS}S)?)?|${DIGITS}M(${DIGITS}S)?|${DIGITS}S)`;
const DAYS = `(${DIGITS}Y(${DIGITS}M(${DIGITS}D)?)?|${DIGITS}M(${DIGITS}D)?|${DIGITS}D)`;
// Where lengths are bounded, so is what a grammar takes to make: a state for each character.
const LABEL = '[A-Za-z0-9]([A-Za-z0-9\\-]{0,14}[A-Za-z0-9])?';
const WORDS = '[A-Za-z0-9]+(-[A-Za-z0-9]+)*';
const DOMAIN = `${WORDS}(\\.${WORDS})+`;
const MAILBOX = '[A-Za-z0-9_+\\-]+(\\.[A-Za-z0-9_+\\-]+)*';
const BYTE = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const GROUP = '[0-9a-f]{1,4}';
const HEX = (digits: number): string => `[0-9a-f]{${digits}}`;

/** Format → regular expression. */
export const JSON_FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  duration: `^P(${DAYS}(T${CLOCK})?|T${CLOCK}|${DIGITS}W)$`,
  email: `^${MAILBOX}@${DOMAIN}$`,
  hostname: `^${LABEL}(\\.${LABEL}){0,2}$`,
  ipv4: `^(${BYTE}\\.){3}${BYTE}$`,
  ipv6: `^((${GROUP}:){7}${GROUP}|${GROUP}(:${GROUP}){0,2}::${GROUP}(:${GROUP}){0,2}|::(${GROUP})?)$`,
  uuid: `^${HEX(8)}-${HEX(4)}-${HEX(4)}-${HEX(4)}-${HEX(12)}$`,
  uri: `^[a-z][a-z0-9+.\\-]*://${WORDS}(\\.${WORDS})*(:\\d{1,4})?(/[A-Za-z0-9._~\\-]*)*(\\?[A-Za-z0-9._~=&\\-]*)?(#[A-Za-z0-9._~\\-]*)?$`,
};
