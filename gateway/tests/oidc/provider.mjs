// A real OpenID provider (npm's oidc-provider) for the tests, with people, groups and a few levers:
//
//   GET  /levers/rotate                     from now on tokens are signed with a new key, the old one is gone
//   POST /levers/group {sub, groups}        changes somebody's groups
//   POST /levers/sign {header, claims, key} signs whatever the test asks for; key "foreign" is nobody's
//   GET  /levers/counts                     how often each path was asked for
//
// Access tokens are JWTs for the resource `spillway`, given out for a password (a custom grant, as the library's own
// documentation shows it). The library's user info takes opaque tokens only, so the one here takes JWTs instead, as
// Keycloak's does. The first line on standard output is the issuer's URL.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages lie below target/, not beside this file.
const require = createRequire(`${process.env.OIDC_MODULES}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: Provider } = await load('oidc-provider');
const jose = await load('jose');

const realm = process.env.OIDC_REALM ?? '/realms/field';
const AUDIENCE = 'spillway';
const PASSWORD = 'test';
const people = new Map([
  ['ann', { name: 'Ánn Field', groups: ['growers'] }],
  ['bob', { name: 'Bob', groups: ['pickers', 'staff'] }],
  ['eve-0123456789', { name: 'Eve', groups: ['growers'] }],
  ['out', { name: 'Out Sider', groups: ['strangers'] }],
]);
const counts = {};

async function makeKey(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await jose.calculateJwkThumbprint(jwk) };
}

function claimsOf(sub) {
  const person = people.get(sub);
  return person && {
    sub,
    name: person.name,
    group_membership: person.groups,
    // The other two dialects, for the realms that speak them.
    entitlements: person.groups.map((group) => `urn:mace:egi.eu:group:${group}:role=member#aai.egi.eu`),
    realm_access: { roles: person.groups },
  };
}

async function makeProvider(issuer, key) {
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [{
      client_id: 'test', client_secret: 'test', redirect_uris: [], response_types: [], grant_types: ['password'],
      token_endpoint_auth_method: 'client_secret_post', id_token_signed_response_alg: key.alg,
    }],
    claims: { openid: ['sub'], profile: ['name', 'group_membership'] },
    findAccount: (_ctx, sub) => people.has(sub) && { accountId: sub, claims: async () => claimsOf(sub) },
    pkce: { required: () => false },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS384', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${AUDIENCE}`,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'profile', audience: resource.replace('urn:', ''), accessTokenTTL: 600, accessTokenFormat: 'jwt',
          jwt: { sign: { alg: key.alg } },
        }),
        useGrantedResource: () => true,
      },
    },
  });
  provider.registerGrantType('password', async (ctx, next) => {
    const { username, password, resource } = ctx.oidc.params;
    if (!people.has(username) || password !== PASSWORD) {
      ctx.status = 400;
      ctx.body = { error: 'invalid_grant' };
      return;
    }
    const token = new provider.AccessToken({
      accountId: username, client: ctx.oidc.client, scope: 'profile', gty: 'password',
    });
    token.resourceServer = new provider.ResourceServer(
      resource ?? `urn:${AUDIENCE}`,
      { scope: 'profile', audience: (resource ?? AUDIENCE).replace('urn:', ''), accessTokenTTL: 600,
        accessTokenFormat: 'jwt', jwt: { sign: { alg: key.alg } } },
    );
    ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration };
    await next();
  }, ['username', 'password', 'resource'], []);
  return provider;
}

let provider;
let key = await makeKey('RS256');
const foreign = await makeKey('RS256');
const server = createServer(handle);
server.listen(Number(process.env.OIDC_PORT ?? 0), '127.0.0.1', async () => {
  provider = await makeProvider(issuer(), key);
  console.log(issuer());
});

function issuer() {
  return `http://127.0.0.1:${server.address().port}${realm}`;
}

async function handle(request, response) {
  const path = new URL(request.url, issuer()).pathname;
  counts[path] = (counts[path] ?? 0) + 1;
  try {
    if (path.startsWith('/levers/')) return send(response, 200, await lever(path.slice('/levers/'.length), request));
    if (!path.startsWith(`${realm}/`)) return send(response, 404, {});
    if (path === `${realm}/me`) return await userInfo(request, response);
    request.originalUrl = request.url; // As a framework does that mounts the provider below a path.
    request.url = request.url.slice(realm.length);
    return provider.callback()(request, response);
  } catch (error) {
    return send(response, 500, { error: String(error) });
  }
}

async function userInfo(request, response) {
  const token = (request.headers.authorization ?? '').replace(/^Bearer /i, '');
  try {
    const keys = jose.createLocalJWKSet({ keys: [publicPart(key)] });
    const { payload } = await jose.jwtVerify(token, keys, { issuer: issuer() });
    const claims = claimsOf(payload.sub);
    return claims ? send(response, 200, claims) : send(response, 401, { error: 'invalid_token' });
  } catch {
    return send(response, 401, { error: 'invalid_token' });
  }
}

async function lever(name, request) {
  switch (name) {
    case 'rotate': {
      key = await makeKey(new URL(request.url, issuer()).searchParams.get('alg') ?? 'ES256');
      provider = await makeProvider(issuer(), key);
      return { kid: key.kid };
    }
    case 'group': {
      const { sub, groups } = await json(request);
      people.get(sub).groups = groups;
      return {};
    }
    case 'sign': {
      const { header, claims, by } = await json(request);
      const signer = by === 'foreign' ? foreign : key;
      const now = Math.floor(Date.now() / 1000);
      const token = await new jose.SignJWT({ iss: issuer(), sub: 'ann', aud: AUDIENCE, iat: now, exp: now + 600, ...claims })
        .setProtectedHeader({ alg: signer.alg, kid: key.kid, ...header })
        .sign(await jose.importJWK(signer, signer.alg));
      return { token };
    }
    case 'counts':
      return counts;
    default:
      return {};
  }
}

function publicPart({ kty, n, e, crv, x, y, alg, use, kid }) {
  return JSON.parse(JSON.stringify({ kty, n, e, crv, x, y, alg, use, kid }));
}

async function json(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
