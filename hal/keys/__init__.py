"""Private keys and their certificates: files, tokens (PKCS#11), chips (TPM 2.0)."""
