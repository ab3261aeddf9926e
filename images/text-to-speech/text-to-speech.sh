#!/bin/sh
# Reads the text aloud with espeak-ng.
set -eu
file=$(basename "$INPUT_FILE_PATH")
base=${file%.*}
case $base in
    *.??) voice=${base##*.} ;;
    *) voice=en ;;
esac
echo "text-to-speech: $file with voice $voice"
espeak-ng -v "$voice" -s "${WORDS_PER_MINUTE:-150}" -f "$INPUT_FILE_PATH" -w "$TMP_OUTPUT_DIR/$base.wav"
[ -s "$TMP_OUTPUT_DIR/$base.wav" ] || { echo "espeak-ng wrote no sound; is '$voice' a voice it has?" >&2; exit 1; }
