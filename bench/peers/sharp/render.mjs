// All variants of one photo with sharp, at the settings of integrations/imaging/pictures.py. Each line on standard input
// is a photo and a folder; each line on standard output the milliseconds and CPU milliseconds that they took.
//
// The photo is decoded once and each size made of the one before: less work than a pipeline per variant.
import { createInterface } from "node:readline";
import { join } from "node:path";
import sharp from "sharp";

sharp.cache(false);
const EDGES = [2048, 1080, 480, 160];
const upTo = (edge) => ({ width: edge, height: edge, fit: "inside", withoutEnlargement: true });

async function render(photo, folder) {
  let image = sharp(photo, { autoOrient: true });
  const saving = [];
  for (const edge of EDGES) {
    const { data, info } = await image.resize(upTo(edge)).raw().toBuffer({ resolveWithObject: true });
    const pixels = () => sharp(data, { raw: info });
    saving.push(
      pixels().avif({ quality: 60, effort: 1, chromaSubsampling: "4:2:0" }).toFile(join(folder, `${edge}.avif`)),
      pixels().webp({ quality: 80 }).toFile(join(folder, `${edge}.webp`)),
      pixels().jpeg({ quality: 80, progressive: true }).toFile(join(folder, `${edge}.jpg`)),
    );
    image = pixels();
  }
  await Promise.all(saving);
}

for await (const line of createInterface({ input: process.stdin })) {
  const [photo, folder] = line.split("\t");
  const began = performance.now(), used = process.cpuUsage();
  await render(photo, folder);
  const { user, system } = process.cpuUsage(used);
  console.log(performance.now() - began, (user + system) / 1000);
}
