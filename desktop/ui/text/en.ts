// Every English text of the pages, by view. A translation is another object of the same shape.
import { access } from './en/access.ts';
import { app } from './en/app.ts';
import { chat } from './en/chat.ts';
import { common } from './en/common.ts';
import { doctor } from './en/doctor.ts';
import { logs } from './en/logs.ts';
import { models } from './en/models.ts';
import { nodes } from './en/nodes.ts';
import { overview } from './en/overview.ts';
import { requests } from './en/requests.ts';
import { settings } from './en/settings.ts';
import { signIn } from './en/sign-in.ts';
import { tryIt } from './en/try.ts';
import { welcome } from './en/welcome.ts';

export const text = {
  common,
  app,
  overview,
  chat,
  models,
  try: tryIt,
  nodes,
  requests,
  access,
  settings,
  logs,
  doctor,
  signIn,
  welcome,
} as const;
