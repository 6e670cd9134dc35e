// Which address shows which view. Every view is a file of its own that is loaded when it is opened.
import type { ComponentType } from 'react';
import { lazyFile } from '../components/lazy-file.tsx';

export interface Route {
  /** As wouter writes it; `*` takes what follows, slashes too (names of models have them). */
  readonly path: string;
  readonly view: ComponentType;
}

const overview = lazyFile(() => import('../views/overview/overview-view.tsx').then((file) => file.OverviewView));
const chat = lazyFile(() => import('../views/chat/chat-view.tsx').then((file) => file.ChatView));
const models = lazyFile(() => import('../views/models/models-view.tsx').then((file) => file.ModelsView));
const tryIt = lazyFile(() => import('../views/try/try-view.tsx').then((file) => file.TryView));
const nodes = lazyFile(() => import('../views/nodes/nodes-view.tsx').then((file) => file.NodesView));
const requests = lazyFile(() => import('../views/requests/requests-view.tsx').then((file) => file.RequestsView));
const access = lazyFile(() => import('../views/access/access-view.tsx').then((file) => file.AccessView));
const settings = lazyFile(() => import('../views/settings/settings-view.tsx').then((file) => file.SettingsView));
const logs = lazyFile(() => import('../views/logs/logs-view.tsx').then((file) => file.LogsView));
const doctor = lazyFile(() => import('../views/doctor/doctor-view.tsx').then((file) => file.DoctorView));

/** Views read what is behind their path by `useParams()`: `id`, or `*` for the rest. */
export const ROUTES: readonly Route[] = [
  { path: '/', view: overview },
  { path: '/chat/:id?', view: chat },
  { path: '/models', view: models },
  { path: '/models/*', view: models },
  { path: '/try/:tab?', view: tryIt },
  { path: '/nodes/:id?/:tab?', view: nodes },
  { path: '/requests/:id?', view: requests },
  { path: '/access', view: access },
  { path: '/settings', view: settings },
  { path: '/logs/:node?', view: logs },
  { path: '/doctor/:node?', view: doctor },
];

/** Outside the shell: before one is in, and before the node has a name. */
export const WelcomeView = lazyFile(() => import('../views/welcome/welcome-view.tsx').then((file) => file.WelcomeView));
export const SignInView = lazyFile(() => import('../views/sign-in/sign-in-view.tsx').then((file) => file.SignInView));
