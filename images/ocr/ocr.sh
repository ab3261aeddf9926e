#!/bin/sh
# Reads the text in a picture with tesseract.
set -eu
file=$(basename "$INPUT_FILE_PATH")
echo "ocr: $file"
tesseract "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/${file%.*}" -l "${LANGUAGES:-eng}" txt tsv
echo "ocr: $(wc -w <"$TMP_OUTPUT_DIR/${file%.*}.txt") words"
