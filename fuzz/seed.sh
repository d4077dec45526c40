#!/bin/sh
# Fills fuzz/corpus/TARGET from testdata: small files only, since a fuzzer learns nothing from large ones.
set -eu
cd "$(dirname "$0")"
data=../testdata

# seed TARGET FOLDER [find arguments]: a file's name in the corpus is its digest, so that equal ones come once.
seed() {
    target=$1 folder=$2
    shift 2
    mkdir -p "corpus/$target"
    [ -d "$folder" ] || return 0
    find "$folder" -type f -size -40k "$@" | while IFS= read -r file; do
        cp "$file" "corpus/$target/$(sha256sum <"$file" | cut -c 1-16)"
    done
}

# lines TARGET: one seed for each line of the input.
lines() {
    mkdir -p "corpus/$1"
    while IFS= read -r line; do
        printf %s "$line" >"corpus/$1/$(printf %s "$line" | sha256sum | cut -c 1-16)"
    done
}

seed openvex $data/vex/openvex
seed openvex $data/vex/hand -name 'openvex-*'
seed csaf $data/vex/csaf20
seed csaf $data/vex/csaf21
seed csaf $data/vex/invalid -name 'oasis_csaf*'
seed cyclonedx_json $data/vex/cyclonedx -name '*.json'
seed cyclonedx_json $data/vex/hand -name 'cyclonedx-*'
seed cyclonedx_xml $data/vex/cyclonedx -name '*.xml'
seed spdx3 $data/vex/spdx3
seed spdx3 $data/vex/hand -name 'spdx3-*'
seed wrapper $data/vex/intoto
seed wrapper $data/vex/hand -name 'intoto-*'
seed wrapper $data/bundles -name '*.json'
seed parse_any $data/vex -name '*.json*'
seed parse_any $data/vex -name '*.xml'
seed strict_json $data/jcs/input
seed strict_json $data/vex/hand
seed strict_json $data/vex/invalid
seed bundle_and_proof $data/bundles -name '*.json'
seed log_entry $data/bundles -name '*.json'
seed log_entry $data/rekor-v2
seed trusted_root $data/bundles -name 'trusted_root.json'
seed trusted_root $data -name 'signing_config*.json'
seed note $data -name 'checkpoint*'
seed note $data -name '*.pub'
grep -rhoE 'pkg:[a-z]+/[^" ]+' $data/vex/openvex $data/purl-spec | sort -u | head -n 2000 | lines purl
grep -rhoE 'cpe:(2\.3:|/)[^" ]+' $data/vex | sort -u | head -n 2000 | lines cpe
for target in corpus/*; do
    echo "$(ls "$target" | wc -l) $target"
done
