"""Fine-tuning of vision-language models on exported demonstrations."""
