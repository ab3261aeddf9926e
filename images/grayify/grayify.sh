#!/bin/sh
# Turns the picture grey and writes down what it was.
set -eu
name=$(basename "$INPUT_FILE_PATH")
echo "grayify: $name, $(wc -c <"$INPUT_FILE_PATH") bytes"
convert "$INPUT_FILE_PATH" -colorspace Gray -quality "${QUALITY:-85}" "$TMP_OUTPUT_DIR/$name"
identify -format '%f: %m, %w x %h pixels, colours: %[colorspace]\n' "$TMP_OUTPUT_DIR/$name" | tee "$TMP_OUTPUT_DIR/${name%.*}.txt"
