"""Networks from folders as Hugging Face's library transformers writes them: `backbone.name=hf:FOLDER`."""
