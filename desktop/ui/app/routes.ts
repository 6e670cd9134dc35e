// Which address shows which view. Every view is a file of its own that is loaded when it is opened.
import { type ComponentType, type LazyExoticComponent, lazy } from 'react';

export interface Route {
  /** As wouter writes it; `*` takes what follows, slashes too (names of models have them). */
  readonly path: string;
  readonly view: LazyExoticComponent<ComponentType>;
}

const overview = lazy(() =>
  import('../views/overview/overview-view.tsx').then((file) => ({ default: file.OverviewView })),
);
const chat = lazy(() => import('../views/chat/chat-view.tsx').then((file) => ({ default: file.ChatView })));
const models = lazy(() => import('../views/models/models-view.tsx').then((file) => ({ default: file.ModelsView })));
const tryIt = lazy(() => import('../views/try/try-view.tsx').then((file) => ({ default: file.TryView })));
const nodes = lazy(() => import('../views/nodes/nodes-view.tsx').then((file) => ({ default: file.NodesView })));
const requests = lazy(() =>
  import('../views/requests/requests-view.tsx').then((file) => ({ default: file.RequestsView })),
);
const access = lazy(() => import('../views/access/access-view.tsx').then((file) => ({ default: file.AccessView })));
const settings = lazy(() =>
  import('../views/settings/settings-view.tsx').then((file) => ({ default: file.SettingsView })),
);
const logs = lazy(() => import('../views/logs/logs-view.tsx').then((file) => ({ default: file.LogsView })));
const doctor = lazy(() => import('../views/doctor/doctor-view.tsx').then((file) => ({ default: file.DoctorView })));

/** Views read what is behind their path by `useParams()`: `id`, or `*` for the rest. */
export const ROUTES: readonly Route[] = [
  { path: '/', view: overview },
  { path: '/chat/:id?', view: chat },
  { path: '/models', view: models },
  { path: '/models/*', view: models },
  { path: '/try', view: tryIt },
  { path: '/nodes/:id?/:tab?', view: nodes },
  { path: '/requests/:id?', view: requests },
  { path: '/access', view: access },
  { path: '/settings', view: settings },
  { path: '/logs/:node?', view: logs },
  { path: '/doctor/:node?', view: doctor },
];

/** Outside the shell: before one is in, and before the node has a name. */
export const WelcomeView = lazy(() =>
  import('../views/welcome/welcome-view.tsx').then((file) => ({ default: file.WelcomeView })),
);
export const SignInView = lazy(() =>
  import('../views/sign-in/sign-in-view.tsx').then((file) => ({ default: file.SignInView })),
);
