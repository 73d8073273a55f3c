// GET /api/v1/pets/:id as Petfolio answers it: the same JWT check with the same cache of checked tokens, the same script
// for session and rate limit in one round trip, the same headers, the same JSON, from the same Postgres.
import { createHash } from "node:crypto";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";
import express from "express";
import { Redis } from "ioredis";
import { createLocalJWKSet, jwtVerify } from "jose";

const { BENCH_PORT, BENCH_JWKS, BENCH_SCRIPT, BENCH_LIMIT, PETFOLIO_DATABASE_URL, PETFOLIO_REDIS_URL } = process.env;
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: PETFOLIO_DATABASE_URL, max: 18 }) });
const redis = new Redis(PETFOLIO_REDIS_URL);
redis.defineCommand("hit", { numberOfKeys: 2, lua: BENCH_SCRIPT });
const keys = createLocalJWKSet(JSON.parse(BENCH_JWKS));
const [quota, window, burst] = BENCH_LIMIT.split(" ");
const checked = new Map();

async function verify(header) {
  const token = header?.startsWith("Bearer ") ? header.slice(7) : "";
  const digest = createHash("sha256").update(token).digest("base64");
  let claims = checked.get(digest);
  if (claims === undefined) {
    const options = { algorithms: ["ES256"], typ: "at+jwt", issuer: "petfolio", audience: "petfolio-api", clockTolerance: 30 };
    claims = (await jwtVerify(token, keys, options)).payload;
    checked.set(digest, claims);
  }
  if (claims.exp + 30 <= Date.now() / 1000) throw new Error("expired");
  return claims;
}

function problem(response, status, code) {
  response.status(status).type("application/problem+json").send(JSON.stringify({ status, code }));
}

async function caller(request, response, next) {
  try {
    request.claims = await verify(request.headers.authorization);
  } catch {
    return problem(response, 401, "invalid_token");
  }
  const { sub, sid } = request.claims;
  const session = `sess:{${sub}}:${sid}`;
  const [allowed, remaining, retry, reset, state] = await redis.hit(session, `rl:{${sub}}:default`, quota, window, burst);
  response.set("RateLimit-Policy", `"default";q=${quota};w=${window}`);
  response.set("RateLimit", `"default";r=${remaining};t=${reset}`);
  if (state === "revoked") return problem(response, 401, "invalid_token");
  if (!allowed) return problem(response.set("Retry-After", String(retry)), 429, "rate_limited");
  if (state !== "ok") {
    const live = await prisma.$queryRaw`SELECT 1 FROM sessions WHERE id = ${sid}::uuid AND revoked_at IS NULL`;
    if (live.length === 0) return problem(response, 401, "invalid_token");
    redis.set(session, "ok", "EX", 10, "NX");
  }
  next();
}

const app = express();
app.disable("x-powered-by");
app.set("etag", false);
app.get("/api/v1/pets/:id", caller, async (request, response) => {
  const pet = await prisma.pet.findFirst({ where: { id: request.params.id, owners: { has: request.claims.sub } } });
  if (pet === null) return problem(response, 404, "not_found");
  response.set("ETag", `"v${pet.version}"`).set("Cache-Control", "no-store").json({
    id: pet.id,
    owner_id: pet.ownerId,
    owners: pet.owners,
    household_id: pet.householdId,
    name: pet.name,
    species: pet.species,
    breed: pet.breed,
    is_mixed: pet.isMixed,
    sex: pet.sex,
    neutered: pet.neutered,
    date_of_birth: pet.dateOfBirth,
    dob_precision: pet.dobPrecision,
    home_tzid: pet.homeTzid,
    weight_kg: pet.weightKg,
    weight: pet.weight,
    microchip_id: pet.microchipId,
    microchips: pet.microchips,
    profile_photo_url: pet.profilePhotoUrl,
    status: pet.status,
    created_at: pet.createdAt,
    updated_at: pet.updatedAt,
    version: pet.version,
  });
});
app.listen(Number(BENCH_PORT), "127.0.0.1", () => console.log("ready"));
